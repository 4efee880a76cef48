"""Random changes of images on the device: functions of (images, p, key)."""
