// Asks the lookup service with @grpc/grpc-js and the .proto file alone.
// node service.js HOST:PORT TOKEN ACCOUNT…
'use strict';
const path = require('node:path');
const {promisify} = require('node:util');
const grpc = require('@grpc/grpc-js');
const loader = require('@grpc/proto-loader');

const PROTO = path.join(__dirname, '../../../clients/python/segue_client/proto/segue/offers/v1/offers.proto');

async function main([address, token, ...accountIds]) {
  const definition = loader.loadSync(PROTO, {keepCase: true, longs: String, enums: String, defaults: true});
  const {OfferLookup} = grpc.loadPackageDefinition(definition).segue.offers.v1;
  const client = new OfferLookup(address, grpc.credentials.createInsecure());
  const metadata = new grpc.Metadata();
  if (token) metadata.set('authorization', `Bearer ${token}`);
  const call = (method, request) =>
    promisify(client[method].bind(client))(request, metadata, {deadline: Date.now() + 10_000});
  try {
    const points = await Promise.all(accountIds.map(account_id => call('Lookup', {account_id})));
    const batch = await call('BatchLookup', {account_ids: accountIds});
    console.log(JSON.stringify({points, batch: batch.answers}));
  } catch (error) {
    console.log(JSON.stringify({status: grpc.status[error.code], details: error.details}));
  }
  client.close();
}

main(process.argv.slice(2)).catch(error => {
  console.error(error);
  process.exit(1);
});
