package android.os;

import android.annotation.Nullable;

public final class Bundle {
    public void putParcelable(@Nullable String key, @Nullable Parcelable value) {}
    @Deprecated @Nullable public <T extends Parcelable> T getParcelable(@Nullable String key) { return null; }
}
