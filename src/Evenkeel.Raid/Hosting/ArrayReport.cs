using Evenkeel.Raid.Array;

namespace Evenkeel.Raid.Hosting;

/// <summary>A running array, as its host sees it; stable names, for <c>--output json</c>.</summary>
/// <param name="Name">The array's name.</param>
/// <param name="Id">The array's identity.</param>
/// <param name="Level">0, 1, 5, 6 or 10.</param>
/// <param name="Slots">Slots, filled or not.</param>
/// <param name="Bytes">Its size.</param>
/// <param name="State">clean, dirty, degraded or broken.</param>
/// <param name="OutOfSyncBytes">Bytes of sync space that wait for a resync.</param>
/// <param name="Activity">resync, rebuild, check, repair or idle.</param>
/// <param name="DoneBytes">Of the activity.</param>
/// <param name="TotalBytes">Of the activity; 0 when idle.</param>
/// <param name="Mismatches">Sectors that the last scrub found to disagree (md's <c>mismatch_cnt</c>); null before the first.</param>
/// <param name="SyncBytesPerSecond">The limit on resync, rebuild and scrub; null = none.</param>
/// <param name="Uri">Where it is served.</param>
/// <param name="Members">Every device that belongs to it.</param>
public sealed record ArrayReport(
    string Name, Guid Id, int Level, int Slots, long Bytes, string State, long OutOfSyncBytes, string Activity, long DoneBytes, long TotalBytes,
    long? Mismatches, long? SyncBytesPerSecond, string Uri, IReadOnlyList<MemberReport> Members)
{
    internal static ArrayReport Of(RaidArray array, string uri, string activity, SyncProgress progress, long? mismatches) => new(
        array.Name, array.Id, (int)array.Geometry.Level, array.Geometry.Members, array.Length,
        array.IsBroken ? "broken" : array.IsDegraded ? "degraded" : array.IsDirty ? "dirty" : "clean",
        array.OutOfSyncBytes, activity, progress.DoneBytes, progress.TotalBytes, mismatches, array.SyncBytesPerSecond, uri,
        [.. array.Members.Select(member => new MemberReport(
            member.Device.Name, member.State, member.Slot, member.IsReplacement, member.CorrectedReads, member.Device.Length))]);
}

/// <summary>One device of a running array.</summary>
/// <param name="Device">Path or URI.</param>
/// <param name="State">What it is now.</param>
/// <param name="Slot">The slot it fills, -1 for none.</param>
/// <param name="IsReplacement">Whether it is to take over from a member that still serves the slot.</param>
/// <param name="CorrectedReads">Read errors that redundancy answered.</param>
/// <param name="Bytes">The device's size.</param>
public sealed record MemberReport(string Device, MemberState State, int Slot, bool IsReplacement, int CorrectedReads, long Bytes);
