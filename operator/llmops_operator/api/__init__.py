"""What users write and read: one file per kind, and the CRDs made from them."""

from llmops_operator.api.guardpolicy import GuardPolicySpec, GuardPolicyStatus
from llmops_operator.api.llmdeployment import LLMDeploymentSpec, LLMDeploymentStatus
from llmops_operator.api.prompttemplate import PromptTemplateSpec, PromptTemplateStatus

__all__ = [
    "GuardPolicySpec",
    "GuardPolicyStatus",
    "LLMDeploymentSpec",
    "LLMDeploymentStatus",
    "PromptTemplateSpec",
    "PromptTemplateStatus",
]
