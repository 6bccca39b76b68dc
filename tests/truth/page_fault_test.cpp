// The page-fault classification over its whole input space, against a specification written the
// other way round: for each row of design section 6 the condition under which it applies, all
// earlier rows excluded by hand, so that exactly one holds for each input.
#include "monitor/memory/page_fault.hpp"

#include <gtest/gtest.h>

#include <array>
#include <cstring>
#include <set>
#include <string>

using namespace undercroft;

namespace {

bool applies(PageFaultCause cause, const PageFaultFacts& f) {
  const bool accessed = f.in_descriptor_table && f.write;
  const bool descriptor = accessed || f.in_hidden_task;  // the processor's own doing
  const bool maps = f.guest == GuestTables::allowed || f.guest == GuestTables::not_permitted;
  const bool memory = f.frame == FrameKind::ram || f.frame == FrameKind::read_only_image ||
                      f.frame == FrameKind::withdrawn || f.frame == FrameKind::not_yet_given ||
                      f.frame == FrameKind::device_memory || f.frame == FrameKind::framebuffer;
  const bool wanted = !descriptor && f.in_window && maps && memory;
  // What is left for the rows below the guest's own tables.
  const bool allowed = !descriptor && !wanted && f.guest == GuestTables::allowed;
  const bool ram = allowed && (f.frame == FrameKind::ram || f.frame == FrameKind::device_memory ||
                               f.frame == FrameKind::framebuffer);
  const bool image = allowed && f.frame == FrameKind::read_only_image;
  const bool present = ram || (image && !f.write);
  const bool shown = present && !(f.write && f.watched) && !f.hidden;
  const bool filled = shown && !(f.write && !f.dirty);
  switch (cause) {
    case PageFaultCause::descriptor_accessed:
      return accessed;
    case PageFaultCause::task_wanted:
      return !accessed && f.in_hidden_task;
    case PageFaultCause::reserved_bit:
      return !descriptor && f.guest == GuestTables::reserved_bit;
    case PageFaultCause::window_wanted:
      return wanted;
    case PageFaultCause::not_permitted:
      return !descriptor && !wanted &&
             (f.guest == GuestTables::not_present || f.guest == GuestTables::not_permitted);
    case PageFaultCause::absent_floats:
      return allowed && f.frame == FrameKind::absent && f.absent == AbsentMemory::floats;
    case PageFaultCause::absent_faults:
      return allowed && f.frame == FrameKind::absent && f.absent == AbsentMemory::faults;
    case PageFaultCause::device:
      return allowed && f.frame == FrameKind::device;
    case PageFaultCause::read_only_image:
      return image && f.write;
    case PageFaultCause::frame_not_given:
      return allowed && (f.frame == FrameKind::withdrawn || f.frame == FrameKind::not_yet_given);
    case PageFaultCause::watched_write:
      return present && f.write && f.watched;
    case PageFaultCause::breakpoint_page:
      return present && !(f.write && f.watched) && f.hidden;
    case PageFaultCause::dirty_pending:
      return shown && f.write && !f.dirty;
    case PageFaultCause::shadow_missing:
      return filled && !f.shadow_allows;
    case PageFaultCause::stale_translation:
      return filled && f.shadow_allows;
  }
  return false;
}

template <class Visit>
void for_all_facts(Visit visit) {
  for (unsigned bits = 0; bits < 512; ++bits)
    for (unsigned guest = 0; guest < 4; ++guest)
      for (unsigned frame = 0; frame < frame_kind_count; ++frame) {
        PageFaultFacts facts;
        facts.write = bits & 1;
        facts.in_descriptor_table = bits & 2;
        facts.in_window = bits & 4;
        facts.watched = bits & 8;
        facts.dirty = bits & 16;
        facts.shadow_allows = bits & 32;
        facts.absent = bits & 64 ? AbsentMemory::faults : AbsentMemory::floats;
        facts.in_hidden_task = bits & 128;
        facts.hidden = bits & 256;
        facts.guest = static_cast<GuestTables>(guest);
        facts.frame = static_cast<FrameKind>(frame);
        visit(facts);
      }
}

}  // namespace

TEST(PageFault, EveryInputHasTheCauseOfTheTable) {
  std::set<PageFaultCause> seen;
  for_all_facts([&](const PageFaultFacts& facts) {
    unsigned matches = 0;
    for (unsigned cause = 0; cause < page_fault_cause_count; ++cause)
      matches += applies(static_cast<PageFaultCause>(cause), facts);
    ASSERT_EQ(matches, 1u) << "the specification itself is not a partition";
    const PageFaultCause cause = classify(facts);
    ASSERT_TRUE(applies(cause, facts))
        << name_of(cause) << ": write " << facts.write << " window " << facts.in_window
        << " descriptor " << facts.in_descriptor_table << " guest " << static_cast<int>(facts.guest)
        << " frame " << static_cast<int>(facts.frame) << " watched " << facts.watched << " dirty "
        << facts.dirty << " shadow " << facts.shadow_allows;
    seen.insert(cause);
  });
  EXPECT_EQ(seen.size(), page_fault_cause_count);
}

// A fault is never lost: what retries without a change must have had something to wait for.
TEST(PageFault, RetryNeedsAnAllowingShadowOrADescriptor) {
  for_all_facts([](const PageFaultFacts& facts) {
    if (action_of(classify(facts)) != FaultAction::retry) return;
    EXPECT_TRUE(facts.shadow_allows || facts.in_descriptor_table);
  });
}

// The guest never gets an exception that its own tables do not call for, unless it asked for faults
// on absent memory; and never loses one.
TEST(PageFault, InjectsExactlyWhatTheGuestCalledFor) {
  for_all_facts([](const PageFaultFacts& facts) {
    const PageFaultCause cause = classify(facts);
    if (cause == PageFaultCause::absent_faults) return;
    if (action_of(cause) == FaultAction::inject) {
      EXPECT_NE(facts.guest, GuestTables::allowed);
    }
    if (action_of(cause) == FaultAction::fill || action_of(cause) == FaultAction::emulate) {
      EXPECT_TRUE(facts.guest == GuestTables::allowed || facts.in_hidden_task);
    }
  });
}

TEST(PageFault, ActionsAndNames) {
  using enum FaultAction;
  constexpr std::array<FaultAction, page_fault_cause_count> expected{
      retry,   emulate, inject,  migrate, inject, emulate, inject, emulate,
      emulate, restore, emulate, emulate, fill,   fill,    retry};
  std::set<std::string> names;
  for (unsigned cause = 0; cause < page_fault_cause_count; ++cause) {
    EXPECT_EQ(action_of(static_cast<PageFaultCause>(cause)), expected[cause]) << cause;
    names.insert(name_of(static_cast<PageFaultCause>(cause)));
  }
  EXPECT_EQ(names.size(), page_fault_cause_count);
}
