package android.content;

import android.annotation.Nullable;
import android.net.Uri;
import android.os.Parcelable;

public class Intent implements Parcelable {
    public static final String ACTION_OPEN_DOCUMENT = "android.intent.action.OPEN_DOCUMENT";
    public static final String ACTION_SEND = "android.intent.action.SEND";
    public static final String CATEGORY_OPENABLE = "android.intent.category.OPENABLE";
    public static final String EXTRA_STREAM = "android.intent.extra.STREAM";
    public static final int FLAG_GRANT_READ_URI_PERMISSION = 1;
    public static final int FLAG_GRANT_WRITE_URI_PERMISSION = 2;
    public Intent(String action) {}
    public static Intent createChooser(Intent target, CharSequence title) { return null; }
    public Intent addCategory(String category) { return this; }
    public Intent addFlags(int flags) { return this; }
    public Intent putExtra(String name, @Nullable Parcelable value) { return this; }
    public Intent setType(@Nullable String type) { return this; }
    public void setClipData(@Nullable ClipData clip) {}
    @Nullable public ClipData getClipData() { return null; }
    @Nullable public Uri getData() { return null; }
}
