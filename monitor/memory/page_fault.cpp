#include "page_fault.hpp"

namespace undercroft {

const char* name_of(PageFaultCause cause) {
  switch (cause) {
    case PageFaultCause::descriptor_accessed:
      return "descriptor accessed";
    case PageFaultCause::task_wanted:
      return "task wanted";
    case PageFaultCause::reserved_bit:
      return "reserved bit";
    case PageFaultCause::window_wanted:
      return "window wanted";
    case PageFaultCause::not_permitted:
      return "not permitted";
    case PageFaultCause::absent_floats:
      return "absent, floats";
    case PageFaultCause::absent_faults:
      return "absent, faults";
    case PageFaultCause::device:
      return "device";
    case PageFaultCause::read_only_image:
      return "read-only image";
    case PageFaultCause::frame_not_given:
      return "frame not given";
    case PageFaultCause::watched_write:
      return "watched write";
    case PageFaultCause::breakpoint_page:
      return "breakpoint page";
    case PageFaultCause::dirty_pending:
      return "dirty pending";
    case PageFaultCause::shadow_missing:
      return "shadow missing";
    case PageFaultCause::stale_translation:
      return "stale translation";
  }
  return "";
}

}  // namespace undercroft
