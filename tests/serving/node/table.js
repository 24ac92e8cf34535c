// Reads the offers table with Google's own Node client, by the contract alone: row keys, pointer, cell.
// node table.js PROJECT INSTANCE TABLE ACCOUNT…   (BIGTABLE_EMULATOR_HOST says where)
'use strict';
const {createHash} = require('node:crypto');
const path = require('node:path');
const {Bigtable} = require('@google-cloud/bigtable');
const protobuf = require('protobufjs');

const PROTO = path.join(__dirname, '../../../clients/python/segue_client/proto/segue/offers/v1/offers.proto');

function rowKey(accountId) {
  const id = Buffer.from(accountId, 'utf8');
  return `${createHash('sha256').update(id).digest('hex').slice(0, 4)}#${accountId}`;
}

// what the surface logs with the offer that it shows
function decisionId(accountId, generation, ruleId) {
  return createHash('sha256').update(`${generation}#${ruleId}#${accountId}`, 'utf8').digest('hex').slice(0, 32);
}

// `decode: false` leaves values as the wire has them, which is not always a Buffer
function bytes(value) {
  return typeof value === 'string' ? Buffer.from(value, 'base64') : Buffer.from(value);
}

async function main([project, instance, tableName, ...accountIds]) {
  const offers = protobuf.loadSync(PROTO).lookupType('segue.offers.v1.AccountOffers');
  const client = new Bigtable({projectId: project});
  const table = client.instance(instance).table(tableName);
  const [pointer] = await table.row('!pointer').get({decode: false});
  // this client turns 8 bytes into a number by itself
  const stored = pointer.data.p.generation[0].value;
  const generation = typeof stored === 'number' ? BigInt(stored) : bytes(stored).readBigUInt64BE();
  const [rows] = await table.getRows({
    keys: accountIds.map(rowKey),
    decode: false,
    filter: [
      {family: 'o'},
      {column: 'p'},
      // the end is exclusive, in microseconds
      {time: {start: 0, end: new Date(Number(generation) + 1)}},
      {column: {cellLimit: 1}},
    ],
  });
  const cells = new Map(rows.map(row => [row.id.toString(), bytes(row.data.o.p[0].value)]));
  const answers = accountIds.map(accountId => {
    const value = cells.get(rowKey(accountId));
    // no cell, or an empty one (a tombstone): the account is not known
    if (value === undefined || value.length === 0) return {accountId, account: null};
    const account = offers.toObject(offers.decode(value), {longs: String, defaults: true});
    // a control arm is not shown, also where an older loader left it among the offers
    const shown = account.offers.filter(offer => !offer.isControl);
    const decisionIds = shown.map(offer => decisionId(accountId, generation, offer.ruleId));
    return {accountId, account, decisionIds, payloadHex: value.toString('hex')};
  });
  console.log(JSON.stringify({generation: generation.toString(), answers}));
  await client.close();
}

main(process.argv.slice(2)).catch(error => {
  console.error(error);
  process.exit(1);
});
