"""What offers are made of besides features: scores of models, and entries of the content system."""

from __future__ import annotations

from local.company.content import EXPIRED, OFFERS, UNPUBLISHED, UNTRANSLATED
from local.company.scores import MODELS
from segments.source import load_rules
from tests.local.company.conftest import Company


def test_every_second_week_each_model_scores_its_share_of_the_accounts_that_exist(company: Company) -> None:
    runs = company.rows("""
        select model, scored_at::date::varchar, bool_and(ingested_at = scored_at + interval 1 hour),
            count(*) / (
                select count(*) from (select min(created_at) as created_at from accounts group by account_id)
                where created_at < scored_at
            )
        from scores group by model, scored_at order by 1, 2""")

    assert [(model, day) for model, day, _, _ in runs] == [
        (model, day) for model in sorted(MODELS) for day in ("2026-03-07", "2026-03-21", "2026-04-04")
    ]
    assert all(is_an_hour_later for _, _, is_an_hour_later, _ in runs)
    assert all(abs(share - MODELS[model]) < 0.05 for model, _, _, share in runs)


def test_scores_are_shares_and_the_models_are_those_that_rules_ask_for(company: Company) -> None:
    assert company.rows(
        "select min(score) >= 0, max(score) <= 1, count(distinct score) > 500 from scores"
    ) == [(True, True, True)]
    assert set(MODELS) == {rule.score.model.name for rule in load_rules().active if rule.score.model}


def test_the_content_system_lacks_what_the_rules_must_survive(company: Company) -> None:
    entries = {rule.content.entry for rule in load_rules().active}
    written = {entry for (entry,) in company.rows("select distinct entry_id from content_entries")}
    assert written == set(OFFERS)
    # Never written, not published, expired, not translated: one of each.
    assert len(entries - written) == 1
    assert company.rows("select distinct entry_id from content_entries where not is_published") == [
        (UNPUBLISHED,)
    ]
    assert company.rows("select distinct entry_id from content_entries where valid_until_at is not null") == [
        (EXPIRED,)
    ]
    [(languages,)] = company.rows("select count(distinct locale) from content_entries")
    assert company.rows(
        f"select entry_id from content_entries group by 1 having count(distinct locale) < {languages}"
    ) == [(UNTRANSLATED[0],)]
