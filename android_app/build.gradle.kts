plugins {
    alias(libs.plugins.android.application) apply false
    alias(libs.plugins.android.library) apply false
    // not applied: the Android plugin brings Kotlin itself, and takes the version that stands here
    alias(libs.plugins.kotlin.android) apply false
}
