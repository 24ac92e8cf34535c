package segue.client;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import com.google.protobuf.ByteString;
import com.google.protobuf.InvalidProtocolBufferException;
import java.time.Instant;
import java.util.List;
import org.junit.jupiter.api.Test;
import segue.offers.v1.AccountOffers;

/** What a cell means, for programs that read the table themselves. */
class OfferTableTest {

  private static final Instant NOW = Instant.parse("2026-02-01T08:00:00Z");
  private static final long PAST = NOW.toEpochMilli();
  private static final long FUTURE = PAST + 1;
  private static final long GENERATION = 1_769_817_600_001L;

  @Test
  void noCellAndAnEmptyOneAreAnUnknownAccount() throws Exception {
    Answer unknown = new Answer.Unknown("a", GENERATION);
    assertEquals(unknown, OfferTable.read("a", null, GENERATION, NOW));
    assertEquals(unknown, OfferTable.read("a", ByteString.EMPTY, GENERATION, NOW));
  }

  @Test
  void controlArmsAreHeldBackWhereverTheyStand() throws Exception {
    Answer answer = read(
      account()
        .addOffers(offer("shown", 0))
        .addOffers(offer("control of an older loader", 0).setIsControl(true))
        .addHeldBack(offer("control", 0).setIsControl(true))
    );
    assertEquals(Outcome.FOUND, answer.outcome());
    assertEquals(List.of("shown"), ids(answer.offers()));
    assertEquals(List.of("control of an older loader", "control"), ids(answer.heldBack()));
  }

  @Test
  void aDecisionIsNamedByTheGenerationThatAnswers() throws Exception {
    Answer answer = read(account().addOffers(offer("shown", 0)).setGenerationMs(1));
    assertEquals(
      OfferTable.decisionId("a", GENERATION, "rule of shown"),
      answer.offers().get(0).decisionId()
    );
  }

  @Test
  void whatHasRunOutIsLeftOut() throws Exception {
    Answer answer = read(account().addOffers(offer("over", PAST)).addOffers(offer("left", FUTURE)));
    assertEquals(List.of("left"), ids(answer.offers()));
  }

  @Test
  void anAccountWhoseEveryOfferHasRunOutIsExpired() throws Exception {
    assertEquals(Outcome.EXPIRED, read(account().addOffers(offer("over", PAST))).outcome());
  }

  @Test
  void anAnswerThatHasRunOutIsExpired() throws Exception {
    assertEquals(
      Outcome.EXPIRED,
      read(account().addOffers(offer("left", FUTURE)).setValidUntilMs(PAST)).outcome()
    );
  }

  @Test
  void aBlockDoesNotLapse() throws Exception {
    Answer answer = read(account().setSuppressedReason("CONSENT_WITHDRAWN").setValidUntilMs(PAST));
    assertEquals(Outcome.SUPPRESSED, answer.outcome());
    assertEquals("CONSENT_WITHDRAWN", ((Answer.Suppressed) answer).reason());
  }

  @Test
  void bytesThatAreNoOffersAreRefused() {
    ByteString bytes = ByteString.copyFrom(new byte[] { 10, 99 });
    assertThrows(InvalidProtocolBufferException.class, () -> OfferTable.read("a", bytes, GENERATION, NOW));
  }

  @Test
  void accountIdsThatCannotBeRowKeysAreRefused() {
    assertThrows(IllegalArgumentException.class, () -> OfferTable.rowKey(""));
    assertThrows(IllegalArgumentException.class, () -> OfferTable.rowKey("\ud83c"));
    IllegalArgumentException tooLong = assertThrows(IllegalArgumentException.class, () ->
      OfferTable.rowKey("x".repeat(5_000))
    );
    assertEquals("an account id of 5000 bytes; at most 4091", tooLong.getMessage());
  }

  private static Answer read(AccountOffers.Builder account) throws InvalidProtocolBufferException {
    return OfferTable.read("a", account.build().toByteString(), GENERATION, NOW);
  }

  private static AccountOffers.Builder account() {
    return AccountOffers.newBuilder().setAccountId("a").setSegmentDate("2026-01-31");
  }

  private static segue.offers.v1.Offer.Builder offer(String offerId, long validUntilMs) {
    return segue.offers.v1.Offer.newBuilder()
      .setOfferId(offerId)
      .setRuleId("rule of " + offerId)
      .setValidUntilMs(validUntilMs);
  }

  private static List<String> ids(List<Offer> offers) {
    return offers.stream().map(Offer::offerId).toList();
  }
}
