"""The generated company: landing files with plausible life and known dirt, and the truth beside them."""

from local.company.landing_files import generate
from local.company.spec import CompanySpec, Manifest

__all__ = ["CompanySpec", "Manifest", "generate"]
