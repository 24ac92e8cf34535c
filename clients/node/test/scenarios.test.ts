/** Asks a running service what the clients of every language ask it, and gets the same. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import type { Answer, Offer } from '../src/index';
import { LookupError, OfferClient, decisionId } from '../src/index';

/** What is asked, `times` times one after the other, and what comes back each time. */
interface Scenario {
  name: string;
  address: string;
  token: string | null;
  timeout_seconds: number;
  service_config: string | null;
  ca_file: string | null;
  client_certificate_file: string | null;
  client_key_file: string | null;
  account_ids: string[];
  is_batch: boolean;
  times: number;
  answers: Expected[] | null;
  refusal: { status: string; is_retryable: boolean; is_told_when: boolean } | null;
}

interface Expected {
  account_id: string;
  outcome: string;
  offers: string[];
  held_back: string[];
  suppressed_reason: string | null;
}

const file = process.env['SEGUE_SCENARIOS'];
const scenarios = file === undefined ? [] : (JSON.parse(readFileSync(file, 'utf8')) as Scenario[]);

function told(answer: Answer): Expected {
  const ids = (offers: readonly Offer[]) =>
    offers.map((offer) => {
      assert.equal(offer.decisionId, decisionId(answer.accountId, answer.generationMs, offer.ruleId));
      return offer.offerId;
    });
  return {
    account_id: answer.accountId,
    outcome: answer.outcome,
    offers: ids(answer.offers),
    held_back: ids(answer.heldBack),
    suppressed_reason: answer.outcome === 'suppressed' ? answer.reason : null,
  };
}

function clientOf(scenario: Scenario): OfferClient {
  const told = {
    token: scenario.token,
    serviceConfigFile: scenario.service_config,
    caFile: scenario.ca_file,
    clientCertificateFile: scenario.client_certificate_file,
    clientKeyFile: scenario.client_key_file,
  };
  return new OfferClient(scenario.address, {
    plaintext: scenario.ca_file === null,
    timeoutMs: scenario.timeout_seconds * 1_000,
    ...Object.fromEntries(Object.entries(told).filter(([, value]) => value !== null)),
  });
}

for (const scenario of scenarios) {
  test(scenario.name, async () => {
    const client = clientOf(scenario);
    const ask = () =>
      scenario.is_batch
        ? client.lookupAll(scenario.account_ids)
        : Promise.all(scenario.account_ids.map((each) => client.lookup(each)));
    try {
      for (let time = 0; time < scenario.times; time++) {
        if (scenario.refusal === null) {
          assert.deepEqual((await ask()).map(told), scenario.answers);
        } else {
          const refused = await ask().then(
            () => assert.fail('answered'),
            (error: unknown) => error,
          );
          assert.ok(refused instanceof LookupError);
          const { status, isRetryable: is_retryable, retryAfterMs } = refused;
          const is_told_when = retryAfterMs !== undefined;
          assert.deepEqual({ status, is_retryable, is_told_when }, scenario.refusal);
        }
      }
    } finally {
      await client.close();
    }
  });
}
