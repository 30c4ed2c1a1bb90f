"""The human monitor, imported when somebody speaks to it. `verbs` is where a line begins."""
