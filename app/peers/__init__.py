"""The nodes we talk to and what we send them: SCU verbs and durable transfers."""
