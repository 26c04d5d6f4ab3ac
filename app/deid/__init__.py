"""De-identification after PS3.15 Annex E: profiles, walker, reports. Makes new files, never touches the original."""
