package segue.client;

import java.time.Instant;
import java.time.LocalDate;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.OptionalDouble;
import segue.offers.v1.AccountOffers;
import segue.offers.v1.LookupResponse;

/** From the words of the wire to {@link Answer}. */
final class Answers {

  private Answers() {}

  /**
   * @throws LookupException the outcome is one that this version of the client does not know
   */
  static Answer of(LookupResponse response) {
    String accountId = response.getAccountId();
    long generationMs = response.getGenerationMs();
    AccountOffers account = response.getAccount();
    return switch (response.getOutcome()) {
      case LOOKUP_OUTCOME_FOUND -> found(accountId, generationMs, account, stored(account));
      case LOOKUP_OUTCOME_UNKNOWN_ACCOUNT -> new Answer.Unknown(accountId, generationMs);
      case LOOKUP_OUTCOME_SUPPRESSED -> suppressed(accountId, generationMs, account);
      case LOOKUP_OUTCOME_EXPIRED -> expired(accountId, generationMs, account);
      case LOOKUP_OUTCOME_UNSPECIFIED, UNRECOGNIZED -> throw LookupException.unknownOutcome(
        response.getOutcomeValue()
      );
    };
  }

  /** What a cell means at an instant: a block does not lapse; what has run out is left out. */
  static Answer judge(String accountId, AccountOffers account, long generationMs, Instant now) {
    if (!account.getSuppressedReason().isEmpty()) {
      return suppressed(accountId, generationMs, account);
    }
    if (isPast(account.getValidUntilMs(), now)) {
      return expired(accountId, generationMs, account);
    }
    List<segue.offers.v1.Offer> stored = stored(account);
    List<segue.offers.v1.Offer> left = stored
      .stream()
      .filter(offer -> !isPast(offer.getValidUntilMs(), now))
      .toList();
    if (!stored.isEmpty() && left.isEmpty()) {
      return expired(accountId, generationMs, account);
    }
    return found(accountId, generationMs, account, left);
  }

  private static List<segue.offers.v1.Offer> stored(AccountOffers account) {
    List<segue.offers.v1.Offer> stored = new ArrayList<>(account.getOffersList());
    stored.addAll(account.getHeldBackList());
    return stored;
  }

  /** Offers are set apart and named here too: older loaders left control arms among the offers. */
  private static Answer found(
    String accountId,
    long generationMs,
    AccountOffers account,
    List<segue.offers.v1.Offer> usable
  ) {
    List<Offer> offers = new ArrayList<>();
    List<Offer> heldBack = new ArrayList<>();
    for (segue.offers.v1.Offer each : usable) {
      (each.getIsControl() ? heldBack : offers).add(offer(accountId, generationMs, each));
    }
    return new Answer.Found(
      accountId,
      generationMs,
      account.getMarket(),
      LocalDate.parse(account.getSegmentDate()),
      instant(account.getValidUntilMs()),
      List.copyOf(offers),
      List.copyOf(heldBack)
    );
  }

  private static Answer suppressed(String accountId, long generationMs, AccountOffers account) {
    return new Answer.Suppressed(
      accountId,
      generationMs,
      account.getSuppressedReason(),
      account.getMarket(),
      LocalDate.parse(account.getSegmentDate())
    );
  }

  private static Answer expired(String accountId, long generationMs, AccountOffers account) {
    return new Answer.Expired(
      accountId,
      generationMs,
      account.getMarket(),
      LocalDate.parse(account.getSegmentDate())
    );
  }

  private static Offer offer(String accountId, long generationMs, segue.offers.v1.Offer offer) {
    return new Offer(
      offer.getOfferId(),
      offer.getRuleId(),
      offer.getRuleVersion(),
      offer.getPriority(),
      offer.hasScore() ? OptionalDouble.of(offer.getScore()) : OptionalDouble.empty(),
      offer.getReasonCode(),
      offer.getExperimentId().isEmpty()
        ? Optional.empty()
        : Optional.of(new Offer.Experiment(offer.getExperimentId(), offer.getVariant())),
      offer.getContentId().isEmpty()
        ? Optional.empty()
        : Optional.of(
            new Offer.Content(offer.getContentId(), offer.getContentVersion(), offer.getContentLocale())
          ),
      instant(offer.getValidUntilMs()),
      OfferTable.decisionId(accountId, generationMs, offer.getRuleId())
    );
  }

  private static boolean isPast(long validUntilMs, Instant now) {
    return validUntilMs != 0 && !Instant.ofEpochMilli(validUntilMs).isAfter(now);
  }

  private static Optional<Instant> instant(long milliseconds) {
    return milliseconds == 0 ? Optional.empty() : Optional.of(Instant.ofEpochMilli(milliseconds));
  }
}
