"""Why a trained agent decided as it did: its scores of all actions, decision by decision."""
