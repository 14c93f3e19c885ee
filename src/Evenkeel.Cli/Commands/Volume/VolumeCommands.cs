using System.CommandLine;

namespace Evenkeel.Cli.Commands.Volume;

/// <summary><c>volume attach|detach</c>: what an NBD URI names, as a file or a mounted file system.</summary>
internal static class VolumeCommands
{
    public static Command Create() => new("volume", "Brings served volumes to this machine.") { AttachCommand.Create(), DetachCommand.Create() };
}
