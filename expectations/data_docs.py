"""Great Expectations' context: everything in memory, but the results of one run and its pages in a folder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import great_expectations as gx
from great_expectations.data_context.types.base import DataContextConfig, ProgressBarsConfig

from loaders.erasure.files import RESULTS, SITE


def gx_context(folder: Path) -> Any:
    """A context of its own for one run of the gate; suites are code, so only results are kept."""
    memory = {"class_name": "InMemoryStoreBackend"}

    def below(name: str) -> dict[str, str]:
        return {"class_name": "TupleFilesystemStoreBackend", "base_directory": str(folder / name)}

    config = DataContextConfig(
        config_version=4.0,
        analytics_enabled=False,
        progress_bars=ProgressBarsConfig(globally=False),
        stores={
            "expectations": {"class_name": "ExpectationsStore", "store_backend": memory},
            "validation_results": {
                "class_name": "ValidationResultsStore",
                "store_backend": below(RESULTS),
            },
            "checkpoints": {"class_name": "CheckpointStore", "store_backend": memory},
            "validation_definition_store": {
                "class_name": "ValidationDefinitionStore",
                "store_backend": memory,
            },
        },
        expectations_store_name="expectations",
        validation_results_store_name="validation_results",
        checkpoint_store_name="checkpoints",
        data_docs_sites={
            "site": {
                "class_name": "SiteBuilder",
                "show_how_to_buttons": False,
                "store_backend": below(SITE),
                "site_index_builder": {"class_name": "DefaultSiteIndexBuilder"},
                "site_section_builders": {
                    "validations": {
                        "view": {
                            "module_name": "expectations.escaped_pages",
                            "class_name": "EscapedPageView",
                        }
                    }
                },
            }
        },
    )
    context = gx.get_context(mode="ephemeral", project_config=config)
    # All of it would be written as YAML, into memory, whenever a query is added: an eighth of the gate.
    context._save_project_config = lambda: None
    return context
