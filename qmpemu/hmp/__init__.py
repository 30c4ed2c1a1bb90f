"""The human monitor as a terminal: lines as they are typed, the prompt, one client after another. Sans-IO."""
