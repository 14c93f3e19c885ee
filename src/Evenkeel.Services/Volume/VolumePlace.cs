using System.Globalization;
using System.Text.Json;
using Evenkeel.Core.Loop.Ports;
using Evenkeel.Core.Model;
using Evenkeel.Core.PrivateConnection;
using Evenkeel.Core.Volumes;

namespace Evenkeel.Services.Volume;

/// <summary>A volume's processes on this node: their names, sockets and commands.</summary>
internal sealed record VolumePlace(string Name, VolumeSettings Settings)
{
    /// <summary>The guard's processes of this driver bear it.</summary>
    public const string Driver = "volume";

    // A leg needs room beside its data: md's layout gives away up to a 1024th of a large device, at least 1 MiB.
    private const long MiB = 1 << 20;

    public string Writer => ResourceId.Volume(Name).Value;
    public string Leg => Writer + "/leg";
    public string LegControl => Path.Combine(Settings.RunDirectory, Name + ".leg");
    public string LegExport => Path.Combine(Settings.RunDirectory, Name + ".nbd");
    public string WriterControl => Path.Combine(Settings.RunDirectory, Name + ".writer");
    public string WriterExport => Path.Combine(Settings.RunDirectory, Name + ".array");
    public string DeviceFile => Path.Combine(Settings.RunDirectory, Name + ".img");
    public string LogFile => Path.Combine(Settings.LogDirectory, $"volume-{Name}.log");

    /// <summary>The volume that an instance of the guard belongs to.</summary>
    public static string? VolumeOf(string instance) =>
        instance.Split('/') is { Length: 2 or 3 } parts && parts[0] == "volume" && (parts.Length == 2 || parts[2] == "leg") ? parts[1] : null;

    /// <summary>Bytes of a leg's file: its share of the data, and room for the metadata.</summary>
    public static long LegBytes(VolumeSpec volume)
    {
        var share = volume.Level == 10 ? (volume.Size * 2 / volume.Legs.Count + MiB) / MiB * MiB : volume.Size;
        return share + Math.Max(4 * MiB, share / 512 / MiB * MiB + MiB);
    }

    public LaunchRequest LegRequest(VolumeSpec volume, NodeSpec node) => Request(Leg, null, "serve-leg", JsonSerializer.Serialize(
        new LegSettings(Name, volume.Legs.First(leg => leg.Node == node.Name).Path, LegBytes(volume), [.. node.Private.Select(address => address.ToString())],
            volume.Port, LegExport, LegControl, Settings.Certificates), VolumeJson.Default.LegSettings));

    public LaunchRequest WriterRequest(InstanceOrder order, Epoch epoch)
    {
        var driver = (VolumeDriverSpec)order.Spec.Driver;
        var replication = order.Replication ?? new ReplicationOrder();
        var legs = driver.Volume.Legs.Select(leg => new LegPlace(leg.Node, Settings.AddressesOf(leg.Node)));
        return Request(Writer, new HeldLease(order.Spec.Resource, epoch), "write", JsonSerializer.Serialize(
            new WriterSettings(driver.Volume, order.Node.Name, epoch, replication.Initialise, replication.Data, driver.MountAt, [.. legs],
                LegExport, WriterControl, WriterExport, DeviceFile, Settings.Certificates), VolumeJson.Default.WriterSettings));
    }

    private LaunchRequest Request(string instance, HeldLease? lease, string command, string settings) => new()
    {
        Instance = instance,
        Driver = Driver,
        Lease = lease,
        Command = [Settings.Program, "volume", command, settings],
        Environment = new Dictionary<string, string>
        {
            // In hexadecimal, as the runtime wants it: the ceiling of what either process may hold.
            ["DOTNET_GCHeapHardLimit"] = Settings.HeapLimit.ToString("x", CultureInfo.InvariantCulture),
            ["DOTNET_gcServer"] = "0",
            ["DOTNET_TieredPGO"] = "0",
        },
        WorkingDirectory = "/",
        LogFile = LogFile,
    };
}
