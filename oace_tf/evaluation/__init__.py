"""The protocol of click-based segmentation; knows no framework. Nothing is exported from here."""
