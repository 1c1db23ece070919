package android.content;

import android.net.Uri;

public class ClipData {
    public static ClipData newRawUri(CharSequence label, Uri uri) { return null; }
    public static ClipData newUri(ContentResolver resolver, CharSequence label, Uri uri) { return null; }
}
