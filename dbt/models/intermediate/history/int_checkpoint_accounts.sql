{{ config(cluster_by=["account_id"], group="offers") }} {{ account_versions(checkpoint_accounts_until()) }}
