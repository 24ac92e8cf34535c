export { OfferClient, DEFAULT_TIMEOUT_MS } from './client';
export type { CallOptions, OfferClientOptions } from './client';
export { decisionId } from './decision_id';
export * from './errors';
export type { Answer, Expired, Found, Offer, Outcome, Suppressed, Unknown } from './offers';
export * as table from './table';
