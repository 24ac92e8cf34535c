import { LookupError } from './errors';
import type { AccountOffers__Output } from './generated/segue/offers/v1/AccountOffers';
import type { LookupResponse__Output } from './generated/segue/offers/v1/LookupResponse';
import type { Offer__Output } from './generated/segue/offers/v1/Offer';
import { decisionId } from './decision_id';
import type { Answer, Offer } from './offers';

const NOTHING = { offers: [], heldBack: [] } as const;

/**
 * What a service's response says.
 *
 * @throws LookupError the outcome is one that this version of the client does not know
 */
export function answerOf(response: LookupResponse__Output): Answer {
  const { accountId, generationMs, account, outcome } = response;
  if (outcome === 'LOOKUP_OUTCOME_UNKNOWN_ACCOUNT') return unknown(accountId, generationMs);
  if (account !== null) {
    switch (outcome) {
      case 'LOOKUP_OUTCOME_FOUND':
        return found(accountId, generationMs, account, stored(account));
      case 'LOOKUP_OUTCOME_SUPPRESSED':
        return suppressed(accountId, generationMs, account);
      case 'LOOKUP_OUTCOME_EXPIRED':
        return expired(accountId, generationMs, account);
    }
  }
  throw new LookupError(
    'UNIMPLEMENTED',
    `the service answers outcome ${outcome}, which is newer than this client`,
  );
}

/** What a cell means at an instant: a block does not lapse; what has run out is left out. */
export function judge(
  accountId: string,
  account: AccountOffers__Output,
  generationMs: number,
  nowMs: number,
): Answer {
  if (account.suppressedReason !== '') return suppressed(accountId, generationMs, account);
  if (isPast(account.validUntilMs, nowMs)) return expired(accountId, generationMs, account);
  const all = stored(account);
  const left = all.filter((offer) => !isPast(offer.validUntilMs, nowMs));
  if (all.length > 0 && left.length === 0) return expired(accountId, generationMs, account);
  return found(accountId, generationMs, account, left);
}

export function unknown(accountId: string, generationMs: number): Answer {
  return { outcome: 'unknown', accountId, generationMs, ...NOTHING };
}

function suppressed(accountId: string, generationMs: number, account: AccountOffers__Output): Answer {
  const { suppressedReason: reason, market, segmentDate } = account;
  return { outcome: 'suppressed', accountId, generationMs, reason, market, segmentDate, ...NOTHING };
}

function expired(accountId: string, generationMs: number, account: AccountOffers__Output): Answer {
  const { market, segmentDate } = account;
  return { outcome: 'expired', accountId, generationMs, market, segmentDate, ...NOTHING };
}

/** Offers are set apart and named here too: older loaders left control arms among the offers. */
function found(
  accountId: string,
  generationMs: number,
  account: AccountOffers__Output,
  usable: readonly Offer__Output[],
): Answer {
  const named = (offers: readonly Offer__Output[]) =>
    offers.map((offer) => offerOf(accountId, generationMs, offer));
  return {
    outcome: 'found',
    accountId,
    generationMs,
    market: account.market,
    segmentDate: account.segmentDate,
    validUntil: instant(account.validUntilMs),
    offers: named(usable.filter((offer) => !offer.isControl)),
    heldBack: named(usable.filter((offer) => offer.isControl)),
  };
}

function offerOf(accountId: string, generationMs: number, offer: Offer__Output): Offer {
  const { experimentId, contentId } = offer;
  return {
    offerId: offer.offerId,
    ruleId: offer.ruleId,
    ruleVersion: offer.ruleVersion,
    priority: offer.priority,
    score: offer.score ?? null,
    reasonCode: offer.reasonCode,
    experiment: experimentId === '' ? null : { experimentId, variant: offer.variant },
    content:
      contentId === '' ? null : { contentId, version: offer.contentVersion, locale: offer.contentLocale },
    validUntil: instant(offer.validUntilMs),
    decisionId: decisionId(accountId, generationMs, offer.ruleId),
  };
}

function stored(account: AccountOffers__Output): Offer__Output[] {
  return [...account.offers, ...account.heldBack];
}

function isPast(validUntilMs: number, nowMs: number): boolean {
  return validUntilMs !== 0 && validUntilMs <= nowMs;
}

function instant(milliseconds: number): Date | null {
  return milliseconds === 0 ? null : new Date(milliseconds);
}
