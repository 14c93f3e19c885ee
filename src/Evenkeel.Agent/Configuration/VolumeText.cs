using System.Globalization;
using Evenkeel.Core.Model;

namespace Evenkeel.Agent.Configuration;

/// <summary>Volumes as flat keys (see <see cref="SpecText"/>), and what changing one does.</summary>
internal static class VolumeText
{
    public static void Add(FlatText flat, VolumeSpec volume, string at)
    {
        flat.Add(at + "raid", volume.Level);
        flat.Add(at + "size", volume.Size.ToString(CultureInfo.InvariantCulture));
        flat.Add(at + "members", volume.Legs.Select(leg => leg.ToString()));
        flat.Add(at + "filesystem", volume.FileSystem);
        flat.Add(at + "port", volume.Port);
        flat.Add(at + "leg_timeout", volume.LegTimeout);
        flat.Add(at + "strict", volume.Strict);
        flat.Add(at + "sync_rate", volume.SyncRate?.ToString(CultureInfo.InvariantCulture));
        flat.Add(at + "asynchronous", volume.Asynchronous.Select(node => node.Value));
        // Without such legs the rest says nothing: a file of before it was known is the same.
        if (volume.Asynchronous.Count == 0)
            return;
        flat.Add(at + "backlog", volume.Backlog.ToString(CultureInfo.InvariantCulture));
        flat.Add(at + "on_congestion", volume.BlockOnCongestion ? "block" : "pull-ahead");
        flat.Add(at + "accept_loss", volume.AcceptLoss);
    }

    public static (ChangeEffect, string) Consequence(ChangeKind kind, string[] steps) => (kind, steps.Length > 2 ? steps[2] : "") switch
    {
        (ChangeKind.Added, "") => (ChangeEffect.Starts, "its legs are made and served; the file system is made by its first writer"),
        (ChangeKind.Removed, "") => (ChangeEffect.Stops, "its legs are served no longer; their files stay"),
        (_, "raid" or "size" or "members" or "filesystem") => (ChangeEffect.Impossible, "a volume keeps its level, size, legs and file system; make another volume and copy"),
        (_, "port") => (ChangeEffect.Restarts, "legs restart one after another on the new port; those that are away meanwhile get what they missed"),
        (_, "asynchronous") => (ChangeEffect.None, "a leg that becomes asynchronous leaves the set in sync; one that no longer is joins it once it has what it lacks"),
        (_, "backlog" or "on_congestion") => (ChangeEffect.None, "for an asynchronous leg from the next time that it is taken in"),
        (_, "accept_loss") => (ChangeEffect.None, "from the next moment on; with no leg in sync left, also for the loss that has happened"),
        _ => (ChangeEffect.None, "known from the next moment on"),
    };
}
