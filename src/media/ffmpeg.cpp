#include "media/ffmpeg.h"

namespace mxvideo::media::ffmpeg {

const Util& util() {
  static const Util table;
  return table;
}

const Codecs& codecs() {
  static const Codecs table;
  return table;
}

const Formats& formats() {
  static const Formats table;
  return table;
}

const Filters& filters() {
  static const Filters table;
  return table;
}

const Scaler& scaler() {
  static const Scaler table;
  return table;
}

}  // namespace mxvideo::media::ffmpeg
