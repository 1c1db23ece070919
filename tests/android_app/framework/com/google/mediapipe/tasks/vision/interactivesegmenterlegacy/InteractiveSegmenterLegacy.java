package com.google.mediapipe.tasks.vision.interactivesegmenterlegacy;

import android.content.Context;
import com.google.mediapipe.framework.image.MPImage;
import com.google.mediapipe.tasks.components.containers.NormalizedKeypoint;
import com.google.mediapipe.tasks.core.BaseOptions;
import java.util.List;
import java.util.Optional;

public final class InteractiveSegmenterLegacy implements AutoCloseable {
    public static class RegionOfInterest {
        public static RegionOfInterest create(NormalizedKeypoint keypoint) { return null; }
    }
    public abstract static class InteractiveSegmenterLegacyOptions {
        public abstract static class Builder {
            public abstract Builder setBaseOptions(BaseOptions options);
            public final InteractiveSegmenterLegacyOptions build() { return null; }
        }
        public static Builder builder() { return null; }
    }
    public interface Result { Optional<List<MPImage>> confidenceMasks(); }
    public static InteractiveSegmenterLegacy createFromOptions(Context context, InteractiveSegmenterLegacyOptions options) { return null; }
    public Result segment(MPImage image, RegionOfInterest place) { return null; }
    public void close() {}
}
