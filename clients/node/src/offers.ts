/** One offer of an account, and why it was chosen. */
export interface Offer {
  readonly offerId: string;
  readonly ruleId: string;
  readonly ruleVersion: number;
  /** Lower comes first; offers are already in order. */
  readonly priority: number;
  /** Of the rule's model; `null` where it has none, which differs from a score of 0. */
  readonly score: number | null;
  readonly reasonCode: string;
  /** The experiment and arm that the account is in; `null` where the offer is under none. */
  readonly experiment: { readonly experimentId: string; readonly variant: string } | null;
  /** An entry of the content system; `null` where the offer has none. `locale` is BCP 47, or empty. */
  readonly content: { readonly contentId: string; readonly version: number; readonly locale: string } | null;
  /** The offer is not shown from this instant on; `null`: it does not run out by itself. */
  readonly validUntil: Date | null;
  /** The name of this decision: log it with what is shown, and with what is held back. */
  readonly decisionId: string;
}

interface AnswerBase {
  readonly accountId: string;
  /** The published generation that answered, in milliseconds; goes into the log of what was shown. */
  readonly generationMs: number;
  /** What to show, best first; empty unless the account was found, and may be empty then too. */
  readonly offers: readonly Offer[];
  /** What control arms of experiments are not shown: each is logged as a no-show where it would have stood. */
  readonly heldBack: readonly Offer[];
}

interface Known {
  /** ISO 3166; empty where it is not known. */
  readonly market: string;
  /** The day of the segments, YYYY-MM-DD. */
  readonly segmentDate: string;
}

/** The offers of the answer may be shown, and there may be none; what is held back is logged. */
export interface Found extends AnswerBase, Known {
  readonly outcome: 'found';
  /** The whole answer is stale from this instant on; `null`: it does not run out. */
  readonly validUntil: Date | null;
}

/** The published generation does not have the account. */
export interface Unknown extends AnswerBase {
  readonly outcome: 'unknown';
}

/** Nothing may be shown to the account, whatever the dates say. */
export interface Suppressed extends AnswerBase, Known {
  readonly outcome: 'suppressed';
  /** Why, for example `CONSENT_WITHDRAWN`. */
  readonly reason: string;
}

/** The account is known, but what is known of it is too old to show. */
export interface Expired extends AnswerBase, Known {
  readonly outcome: 'expired';
}

/** What is known of one account now; `outcome` tells the four apart. */
export type Answer = Found | Unknown | Suppressed | Expired;
export type Outcome = Answer['outcome'];
