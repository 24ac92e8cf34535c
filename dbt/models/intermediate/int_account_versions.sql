{{ config(cluster_by=["account_id"]) }} {{ account_versions(as_of_day()) }}
