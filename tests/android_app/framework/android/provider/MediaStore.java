package android.provider;

import android.net.Uri;

public final class MediaStore {
    public static final String ACTION_IMAGE_CAPTURE = "android.media.action.IMAGE_CAPTURE";
    public static final String ACTION_PICK_IMAGES = "android.provider.action.PICK_IMAGES";
    public static final String EXTRA_OUTPUT = "output";
    public interface MediaColumns {
        String DISPLAY_NAME = "_display_name";
        String IS_PENDING = "is_pending";
        String MIME_TYPE = "mime_type";
        String RELATIVE_PATH = "relative_path";
    }
    public static final class Images {
        public static final class Media implements MediaColumns {
            public static final Uri EXTERNAL_CONTENT_URI = null;
        }
    }
}
