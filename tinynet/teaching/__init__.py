"""Tools that teach: what is wrong with a training before it starts, and where a gradient is from.

print(tinynet.doctor(model, batch, optimizer=optimizer))
print(tinynet.explain(loss, model.conv1.weight, (0, 0, 1, 1)))
"""

from tinynet.teaching.derivation import Explanation
from tinynet.teaching.doctor import doctor
from tinynet.teaching.explain import explain
from tinynet.teaching.report import Finding, Report

__all__ = ["Explanation", "Finding", "Report", "doctor", "explain"]
