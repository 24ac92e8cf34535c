/**
 * Reads the offers table with Google's own Bigtable client: pointer, rows, cells.
 *
 *     node dist/examples/read_table.js PROJECT INSTANCE TABLE ACCOUNT…
 *
 * BIGTABLE_EMULATOR_HOST says where an emulator is.
 */
import { Bigtable } from '@google-cloud/bigtable';
import { table as layout } from '@segue/client';

interface StoredRow {
  id: string | Buffer;
  data: Record<string, Record<string, { value: string | number | Buffer }[]>>;
}

/** `decode: false` leaves values as the wire has them, which is not always a Buffer. */
function bytes(value: string | number | Buffer | undefined): Buffer | null {
  if (value === undefined) return null;
  if (typeof value === 'number') {
    // this client turns 8 bytes into a number by itself
    const eight = Buffer.alloc(8);
    eight.writeBigUInt64BE(BigInt(value));
    return eight;
  }
  return typeof value === 'string' ? Buffer.from(value, 'base64') : Buffer.from(value);
}

function valueOf(row: StoredRow | undefined, family: string, qualifier: string): Buffer | null {
  return bytes(row?.data[family]?.[qualifier]?.[0]?.value);
}

async function main([project, instance, tableName, ...accountIds]: string[]): Promise<void> {
  if (!project || !instance || !tableName) throw new Error('which project, instance and table?');
  const client = new Bigtable({ projectId: project });
  const table = client.instance(instance).table(tableName);
  const [pointer] = await table.row(layout.POINTER_ROW_KEY).get({ decode: false });
  const published = valueOf(pointer, layout.POINTER_FAMILY, layout.POINTER_GENERATION);
  if (published === null) throw new Error('nothing is published');
  const generationMs = layout.generationOf(published);
  const [rows] = await table.getRows({
    keys: accountIds.map(layout.rowKey),
    decode: false,
    filter: [
      { family: layout.FAMILY },
      { column: layout.QUALIFIER },
      // the end is exclusive, in microseconds
      { time: { start: new Date(0), end: new Date(generationMs + 1) } },
      { column: { cellLimit: 1 } },
    ],
  });
  const stored = new Map((rows as StoredRow[]).map((row) => [row.id.toString(), row]));
  const answers = accountIds.map((accountId) => {
    const cell = valueOf(stored.get(layout.rowKey(accountId)), layout.FAMILY, layout.QUALIFIER);
    return { ...layout.readCell(accountId, cell, generationMs), cell: cell?.toString('hex') ?? null };
  });
  console.log(JSON.stringify({ generationMs, answers }));
  await client.close();
}

main(process.argv.slice(2)).catch((error: unknown) => {
  console.error(error);
  process.exitCode = 1;
});
