package com.google.mediapipe.framework;

public class MediaPipeException extends RuntimeException {}
