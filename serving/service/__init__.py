"""The lookup service: ``segue.offers.v1.OfferLookup`` over gRPC."""
