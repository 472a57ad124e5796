"""llmops-operator: runs LLM services on Kubernetes from `LLMDeployment`, `PromptTemplate` and `GuardPolicy`."""
