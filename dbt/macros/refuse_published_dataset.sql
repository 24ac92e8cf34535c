{#
  Nobody reads what was not validated: by hand dbt may describe the published datasets (`dbt docs generate`) and
  builds in none of them.
#}
{% macro refuse_published_dataset() -%}
    {%- set published = [
        env_var("SEGUE_MARTS_DATASET", "marts"),
        env_var("SEGUE_HISTORY_DATASET", "history"),
        env_var("SEGUE_RAW_DATASET", "raw"),
    ] -%}
    {%- if target.schema in published and flags.WHICH in ["build", "run", "seed", "clone", "retry"] -%}
        {{
            exceptions.raise_compiler_error(
                "SEGUE_AUDIT_DATASET is "
                ~ target.schema
                ~ ", where only validated runs publish: build elsewhere"
            )
        }}
    {%- endif -%}
{%- endmacro %}
