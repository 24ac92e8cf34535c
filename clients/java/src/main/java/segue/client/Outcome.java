package segue.client;

/** The four answers to a lookup; only {@link #FOUND} may lead to something shown. */
public enum Outcome {
  /** The offers of the answer may be shown, and there may be none; what is held back is logged. */
  FOUND,
  /** The published generation does not have the account. */
  UNKNOWN,
  /** The account is known and must not be shown anything. */
  SUPPRESSED,
  /** The account is known, but what is known of it is too old to show. */
  EXPIRED,
}
