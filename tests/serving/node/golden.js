// Checks the golden vectors with Node's own sha256 and protobufjs. node golden.js
'use strict';
const {createHash} = require('node:crypto');
const {readFileSync} = require('node:fs');
const path = require('node:path');
const protobuf = require('protobufjs');

const CLIENTS = path.join(__dirname, '../../../clients');
const read = name => JSON.parse(readFileSync(path.join(CLIENTS, 'golden', name), 'utf8'));
const offers = protobuf
  .loadSync(path.join(CLIENTS, 'python/segue_client/proto/segue/offers/v1/offers.proto'))
  .lookupType('segue.offers.v1.AccountOffers');

const wrongKeys = read('row_keys.json').filter(({account_id, row_key_hex}) => {
  const id = Buffer.from(account_id, 'utf8');
  const prefix = createHash('sha256').update(id).digest('hex').slice(0, 4);
  return Buffer.concat([Buffer.from(`${prefix}#`), id]).toString('hex') !== row_key_hex;
});
const wrongDecisions = read('decision_ids.json').filter(({account_id, generation_ms, rule_id, decision_id}) => {
  const named = Buffer.from(`${generation_ms}#${rule_id}#${account_id}`, 'utf8');
  return createHash('sha256').update(named).digest('hex').slice(0, 32) !== decision_id;
});
const payloads = read('payloads.json');
const wrongPayloads = payloads.filter(({account, payload_hex}) => {
  const bytes = Buffer.from(payload_hex, 'hex');
  // a tombstone is no message but the absence of one
  if (account === null) return bytes.length !== 0;
  const decoded = offers.decode(bytes);
  return Buffer.from(offers.encode(decoded).finish()).toString('hex') !== payload_hex;
});
console.log(
  JSON.stringify({
    payloads: payloads.length,
    wrongKeys,
    wrongDecisions,
    wrongPayloads: wrongPayloads.map(p => p.name),
  }),
);
