package segue.client;

import java.time.Instant;
import java.time.LocalDate;
import java.util.List;
import java.util.Optional;

/** What is known of one account now. {@link #offers()} and {@link #heldBack()} may be read of every answer. */
public sealed interface Answer {
  /** The account asked for. */
  String accountId();

  /** The published generation that answered, in milliseconds; goes into the log of what was shown. */
  long generationMs();

  /** Which of the four answers this is, for a {@code switch}. */
  Outcome outcome();

  /** What to show, best first; empty unless the account was found, and may be empty then too. */
  default List<Offer> offers() {
    return List.of();
  }

  /** What control arms of experiments are not shown: each is logged as a no-show where it would have stood. */
  default List<Offer> heldBack() {
    return List.of();
  }

  /**
   * The account is known; its offers may be shown.
   *
   * @param market ISO 3166; empty where it is not known
   * @param segmentDate the day of the segments
   * @param validUntil the whole answer is stale from this instant on; empty: it does not run out
   */
  record Found(
    String accountId,
    long generationMs,
    String market,
    LocalDate segmentDate,
    Optional<Instant> validUntil,
    @Override List<Offer> offers,
    @Override List<Offer> heldBack
  ) implements Answer {
    @Override
    public Outcome outcome() {
      return Outcome.FOUND;
    }
  }

  /** The published generation does not have the account. */
  record Unknown(String accountId, long generationMs) implements Answer {
    @Override
    public Outcome outcome() {
      return Outcome.UNKNOWN;
    }
  }

  /**
   * Nothing may be shown to the account, whatever the dates say.
   *
   * @param reason why, for example {@code CONSENT_WITHDRAWN}
   * @param market as of a found account
   * @param segmentDate the day of the segments
   */
  record Suppressed(
    String accountId,
    long generationMs,
    String reason,
    String market,
    LocalDate segmentDate
  ) implements Answer {
    @Override
    public Outcome outcome() {
      return Outcome.SUPPRESSED;
    }
  }

  /**
   * What is known of the account is too old to show.
   *
   * @param market as of a found account
   * @param segmentDate the day of the segments
   */
  record Expired(
    String accountId,
    long generationMs,
    String market,
    LocalDate segmentDate
  ) implements Answer {
    @Override
    public Outcome outcome() {
      return Outcome.EXPIRED;
    }
  }
}
