"""Clients in Java and Node whose connection a router forgets: no reset, and not a byte comes through."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.clients.conftest import JAVA, NODE
from tests.tcp_proxy import TcpProxy

_IN_JAVA = """\
import java.time.Duration;
import segue.client.LookupException;
import segue.client.OfferClient;

public class Forgotten {

  public static void main(String[] arguments) throws InterruptedException {
    try (OfferClient client = OfferClient.builder("ADDRESS").plaintext().token("test-token")
        .timeout(Duration.ofMillis(500)).build()) {
      System.out.println(client.lookup("test-found").outcome());
      boolean hasFailed = false;
      long giveUpAt = System.nanoTime() + Duration.ofSeconds(120).toNanos();
      while (System.nanoTime() < giveUpAt) {
        Thread.sleep(250);
        try {
          Object outcome = client.lookup("test-found").outcome();
          if (hasFailed) {
            System.out.println(outcome);
            return;
          }
        } catch (LookupException error) {
          hasFailed = true;
        }
      }
    }
  }
}
"""

_IN_NODE = """\
import { LookupError, OfferClient } from '@segue/client';
import { setTimeout } from 'node:timers/promises';

const client = new OfferClient('ADDRESS', { plaintext: true, token: 'test-token', timeoutMs: 500 });
console.log((await client.lookup('test-found')).outcome);
const giveUpAt = Date.now() + 120_000;
for (let hasFailed = false, isBack = false; !isBack && Date.now() < giveUpAt; await setTimeout(250)) {
  try {
    const { outcome } = await client.lookup('test-found');
    isBack = hasFailed;
    if (isBack) console.log(outcome);
  } catch (error) {
    if (!(error instanceof LookupError)) throw error;
    hasFailed = true;
  }
}
await client.close();
"""


@dataclass(frozen=True)
class Forgotten:
    """A client that has been answered once, and whose connection is dead since."""

    process: subprocess.Popen[str]
    network: TcpProxy

    def answers(self) -> tuple[str, int]:
        """What it prints once it is answered again, and how many connections it has made."""
        printed, _ = self.process.communicate(timeout=180)
        return printed.strip(), self.network.accepted


@contextmanager
def forgotten_connections(address: str, folder: Path) -> Iterator[dict[str, Forgotten]]:
    """By language; both clients are built, and end by themselves when they are answered again."""
    in_java, in_node = folder / "Forgotten.java", NODE / "dist/forgotten.mjs"
    with ExitStack() as stack:
        stack.callback(in_node.unlink, missing_ok=True)
        networks = {language: TcpProxy(address) for language in ("java", "node")}
        in_java.write_text(_IN_JAVA.replace("ADDRESS", networks["java"].address))
        in_node.write_text(_IN_NODE.replace("ADDRESS", networks["node"].address))
        processes = {
            "java": _started(JAVA, "./build.sh", "run", str(in_java)),
            "node": _started(NODE, "node", str(in_node)),
        }
        for language, process in processes.items():
            stack.callback(networks[language].close)
            stack.callback(process.wait)
            stack.callback(process.kill)
        for language, process in processes.items():
            assert process.stdout is not None
            assert process.stdout.readline().strip().lower() == "found"
            networks[language].cut()
            networks[language].mend(forgotten=True)
        yield {language: Forgotten(process, networks[language]) for language, process in processes.items()}


def _started(folder: Path, *command: str) -> subprocess.Popen[str]:
    return subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, text=True)
