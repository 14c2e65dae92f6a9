// FFmpeg's libraries, each loaded when something of it is first called: they and what they load are
// most of what a process would have to load at its start. A call is
// ffmpeg::codecs().avcodec_open2(…).
//
// Thread-safe. The first call of each throws Code::kUnsupported when the library is not there.
#pragma once

#include <cstdint>

// Behind <cstdint>, without which they refuse C++.
extern "C" {
#include <libavcodec/avcodec.h>
#include <libavfilter/avfilter.h>
#include <libavfilter/buffersink.h>
#include <libavfilter/buffersrc.h>
#include <libavformat/avformat.h>
#include <libavutil/avstring.h>
#include <libavutil/dict.h>
#include <libavutil/frame.h>
#include <libavutil/log.h>
#include <libavutil/mem.h>
#include <libavutil/opt.h>
#include <libavutil/parseutils.h>
#include <libavutil/pixdesc.h>
#include <libswscale/swscale.h>
}

#include "base/system/shared_library.h"

namespace mxvideo::media::ffmpeg {

struct Util {
  SharedLibrary library{"libavutil.so." AV_STRINGIFY(LIBAVUTIL_VERSION_MAJOR)};
  MXVIDEO_FUNCTION(av_d2q);
  MXVIDEO_FUNCTION(av_dict_get);
  MXVIDEO_FUNCTION(av_dict_set);
  MXVIDEO_FUNCTION(av_frame_alloc);
  MXVIDEO_FUNCTION(av_frame_free);
  MXVIDEO_FUNCTION(av_frame_get_buffer);
  MXVIDEO_FUNCTION(av_frame_make_writable);
  MXVIDEO_FUNCTION(av_get_pix_fmt);
  MXVIDEO_FUNCTION(av_get_pix_fmt_name);
  MXVIDEO_FUNCTION(av_log_set_level);
  MXVIDEO_FUNCTION(av_mallocz);
  MXVIDEO_FUNCTION(av_opt_set);
  MXVIDEO_FUNCTION(av_opt_set_double);
  MXVIDEO_FUNCTION(av_parse_color);
  MXVIDEO_FUNCTION(av_pix_fmt_desc_get);
  MXVIDEO_FUNCTION(av_strcasecmp);
  MXVIDEO_FUNCTION(av_strerror);
};

struct Codecs {
  SharedLibrary library{"libavcodec.so." AV_STRINGIFY(LIBAVCODEC_VERSION_MAJOR)};
  MXVIDEO_FUNCTION(av_packet_alloc);
  MXVIDEO_FUNCTION(av_packet_free);
  MXVIDEO_FUNCTION(av_packet_rescale_ts);
  MXVIDEO_FUNCTION(avcodec_alloc_context3);
  MXVIDEO_FUNCTION(avcodec_find_decoder);
  MXVIDEO_FUNCTION(avcodec_find_encoder_by_name);
  MXVIDEO_FUNCTION(avcodec_free_context);
  MXVIDEO_FUNCTION(avcodec_open2);
  MXVIDEO_FUNCTION(avcodec_parameters_from_context);
  MXVIDEO_FUNCTION(avcodec_receive_packet);
  MXVIDEO_FUNCTION(avcodec_send_frame);
};

struct Formats {
  SharedLibrary library{"libavformat.so." AV_STRINGIFY(LIBAVFORMAT_VERSION_MAJOR)};
  MXVIDEO_FUNCTION(av_interleaved_write_frame);
  MXVIDEO_FUNCTION(av_write_trailer);
  MXVIDEO_FUNCTION(avformat_alloc_output_context2);
  MXVIDEO_FUNCTION(avformat_free_context);
  MXVIDEO_FUNCTION(avformat_new_stream);
  MXVIDEO_FUNCTION(avformat_write_header);
  MXVIDEO_FUNCTION(avio_closep);
  MXVIDEO_FUNCTION(avio_open);
};

struct Filters {
  SharedLibrary library{"libavfilter.so." AV_STRINGIFY(LIBAVFILTER_VERSION_MAJOR)};
  MXVIDEO_FUNCTION(av_buffersink_get_frame);
  MXVIDEO_FUNCTION(av_buffersrc_add_frame);
  MXVIDEO_FUNCTION(avfilter_get_by_name);
  MXVIDEO_FUNCTION(avfilter_graph_alloc);
  MXVIDEO_FUNCTION(avfilter_graph_config);
  MXVIDEO_FUNCTION(avfilter_graph_create_filter);
  MXVIDEO_FUNCTION(avfilter_graph_free);
  MXVIDEO_FUNCTION(avfilter_link);
};

struct Scaler {
  SharedLibrary library{"libswscale.so." AV_STRINGIFY(LIBSWSCALE_VERSION_MAJOR)};
  MXVIDEO_FUNCTION(sws_freeContext);
  MXVIDEO_FUNCTION(sws_getCoefficients);
  MXVIDEO_FUNCTION(sws_getContext);
  MXVIDEO_FUNCTION(sws_scale);
  MXVIDEO_FUNCTION(sws_setColorspaceDetails);
};

const Util& util();
const Codecs& codecs();
const Formats& formats();
const Filters& filters();
const Scaler& scaler();

}  // namespace mxvideo::media::ffmpeg
