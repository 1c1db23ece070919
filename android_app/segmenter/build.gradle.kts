plugins {
    alias(libs.plugins.android.library)
}

android {
    namespace = "oace.segmenter"
    compileSdk = 36

    defaultConfig {
        minSdk = 24 // LiteRT's own; also what the reader of a stream's EXIF needs
    }

    compileOptions {
        sourceCompatibility = JavaVersion.VERSION_17
        targetCompatibility = JavaVersion.VERSION_17
    }
}

dependencies {
    implementation(libs.litert)
    implementation(libs.litert.gpu)
}
