"""The kinds of claim: one file a kind, and one line here that registers it."""

from fashion_hpo.design.claim_kinds import best as best
from fashion_hpo.design.claim_kinds import contrast as contrast
from fashion_hpo.design.claim_kinds import figure as figure
from fashion_hpo.design.claim_kinds import influence as influence
from fashion_hpo.design.claim_kinds import interaction as interaction
