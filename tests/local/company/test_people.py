"""What accounts do besides subscribing hangs together with it."""

from __future__ import annotations

from tests.local.company.conftest import Company


def test_who_listens_more_subscribes_more(company: Company) -> None:
    subscribing, others = (
        company.value(f"""
            with newcomers as (
                -- Before anyone of them subscribed: only the days until the first opening count.
                select account_id, created_at, coalesce(opened_at, timestamptz '2026-04-06') as until,
                    opened_at is not null as subscribed
                from (select account_id, min(created_at) as created_at from accounts group by 1)
                left join (
                    select account_id, min(occurred_at) as opened_at from canonical_events group by 1
                ) using (account_id)
            ), listening as (
                select newcomers.account_id, count(day)
                    / greatest(date_diff('day', greatest(created_at, '2026-03-07'), until), 1) as share
                from newcomers left join engagement_daily as heard
                    on newcomers.account_id = heard.account_id and day < until
                where until > '2026-03-10' and subscribed = {subscribed}
                group by newcomers.account_id, created_at, until
            )
            select avg(share) from listening""")
        for subscribed in ("true", "false")
    )

    assert subscribing > 1.05 * others


def test_chains_run_from_impression_to_click_to_checkout_to_opening(company: Company) -> None:
    completed = company.rows("""
        select impression.occurred_at <= click.occurred_at and click.occurred_at <= checkout.occurred_at
            and checkout.occurred_at <= event.occurred_at as is_in_order,
            event.offer_id = checkout.offer_id as is_same_offer, count(*)
        from checkouts as checkout
        inner join offer_clicks as click using (click_id)
        inner join offer_impressions as impression on click.impression_id = impression.impression_id
        inner join canonical_events as event on checkout.subscription_id = event.subscription_id
            and event.event_type in ('trial_started', 'started', 'reactivated')
            and event.occurred_at between checkout.occurred_at and checkout.occurred_at + interval 50 second
        where checkout.result = 'completed'
        group by all""")

    assert {(in_order, same) for in_order, same, _ in completed} == {(True, True)}
    assert (
        company.value(
            "select count(*) from checkouts where (result = 'completed') <> (subscription_id is not null)"
        )
        == 0
    )
    assert company.value("select count(distinct offer_id) from canonical_events") >= 6
    assert company.rows("select distinct surface from offer_impressions order by 1") == [
        ("checkout",), ("email",), ("home",), ("paywall",),
    ]  # fmt: skip


def test_nothing_is_shown_to_an_account_before_it_exists(company: Company) -> None:
    assert (
        company.value("""
        select count(*) from offer_impressions
        inner join (select account_id, min(created_at) as created_at from accounts group by 1)
            using (account_id)
        where occurred_at < created_at""")
        == 0
    )


def test_shared_plans_have_a_payer_and_distinct_members(company: Company) -> None:
    assert company.rows("""
        select role, count(*) > 0, count(*) filter (left_at is not null) > 0,
            count(*) filter (left_at < joined_at)
        from plan_members group by 1 order by 1""") == [("member", True, True, 0), ("payer", True, False, 0)]
    assert (
        company.value("""
        select count(*) from plan_members as member inner join canonical_events as event
        using (subscription_id) where role = 'payer' and member.account_id <> event.account_id""")
        == 0
    )


def test_a_deleted_account_asked_for_it_before(company: Company) -> None:
    deleted = company.rows("""
        select deleted_at > requested_at from accounts left join deletion_requests using (account_id)
        where deleted_at is not null""")

    assert set(deleted) == {(True,)}


def test_billing_incidents_all_occur_with_their_reasons(company: Company) -> None:
    kinds = {kind for (kind,) in company.rows("select distinct event_type from canonical_events")}

    assert len(kinds - {"boosted"}) == 16
    assert company.rows(
        "select distinct event_type, reason from canonical_events "
        "where reason is not null and event_type <> 'boosted' order by all"
    ) == [
        ("auto_renew_off", "voluntary"),
        ("expired", "other"),
        ("expired", "payment_failure"),
        ("expired", "voluntary"),
        ("refunded", "refund"),
        ("revoked", "admin"),
        ("revoked", "fraud"),
        ("revoked", "refund"),
    ]


def test_a_refund_gives_back_what_was_charged(company: Company) -> None:
    assert (
        company.value("""
        select count(*) from payments as refund left join payments as charge
            on refund.refunded_payment_id = charge.payment_id
            and charge.subscription_id = refund.subscription_id
        where refund.kind = 'refund' and (charge.amount, charge.currency, charge.status)
            is distinct from (refund.amount, refund.currency, 'succeeded')""")
        == 0
    )
