import { readFileSync } from 'node:fs';
import path from 'node:path';
import type { GrpcObject } from '@grpc/grpc-js';
import * as grpc from '@grpc/grpc-js';
import * as loader from '@grpc/proto-loader';
import type { ProtoGrpcType } from './generated/offers';
import type { AccountOffers__Output } from './generated/segue/offers/v1/AccountOffers';

/** What `npm run build` copies from where every language's contract is. */
const CONTRACT = path.join(__dirname, '../contract');

// As the types in generated/ were made: 64-bit numbers are milliseconds, which a number holds exactly.
const definition = loader.loadSync('segue/offers/v1/offers.proto', {
  includeDirs: [CONTRACT],
  longs: Number,
  enums: String,
  defaults: true,
  oneofs: true,
});

/** The service as grpc-js calls it. */
export const { OfferLookup } = (
  grpc.loadPackageDefinition(definition) as GrpcObject as unknown as ProtoGrpcType
).segue.offers.v1;

/** The service config that every client of the service shares: which failures are tried again, and how. */
export const SERVICE_CONFIG = readFileSync(
  path.join(CONTRACT, 'segue/offers/v1/service_config.json'),
  'utf8',
);

const accountOffers = definition['segue.offers.v1.AccountOffers'] as loader.MessageTypeDefinition<
  object,
  AccountOffers__Output
>;

/** The message in a cell's bytes. */
export function parseAccountOffers(cell: Uint8Array): AccountOffers__Output {
  return accountOffers.deserialize(Buffer.from(cell));
}

/** The bytes that a cell has for a message. */
export function serializeAccountOffers(account: object): Buffer {
  return accountOffers.serialize(account);
}

const errorDetails = loader.fromJSON(
  {
    nested: {
      Any: { fields: { type_url: { type: 'string', id: 1 }, value: { type: 'bytes', id: 2 } } },
      Status: { fields: { details: { rule: 'repeated', type: 'Any', id: 3 } } },
      Duration: { fields: { seconds: { type: 'int64', id: 1 }, nanos: { type: 'int32', id: 2 } } },
      RetryInfo: { fields: { retry_delay: { type: 'Duration', id: 1 } } },
    },
  },
  { keepCase: true, longs: Number, defaults: true, arrays: true },
);
const RETRY_INFO = 'type.googleapis.com/google.rpc.RetryInfo';

interface StatusDetails {
  details: { type_url: string; value: Buffer }[];
}

interface RetryInfo {
  retry_delay: { seconds: number; nanos: number } | null;
}

/** The pause that a `google.rpc.Status` asks for, in milliseconds, where it asks for one. */
export function retryAfterMs(status: Buffer): number | undefined {
  const { details } = messageOf<StatusDetails>('Status').deserialize(status);
  const detail = details.find((each) => each.type_url === RETRY_INFO);
  if (detail === undefined) return undefined;
  const { retry_delay: delay } = messageOf<RetryInfo>('RetryInfo').deserialize(detail.value);
  return delay === null ? undefined : delay.seconds * 1000 + delay.nanos / 1e6;
}

function messageOf<T>(name: string): loader.MessageTypeDefinition<object, T> {
  return errorDetails[name] as loader.MessageTypeDefinition<object, T>;
}
