using System.CommandLine;

namespace Evenkeel.Cli.Commands.Volume;

/// <summary><c>volume list|status|verify</c>: volumes of the cluster; <c>attach|detach</c>: what an NBD URI names, as a file or a mounted file system.</summary>
internal static class VolumeCommands
{
    public static Command Create() => new("volume", "Shows and verifies the cluster's volumes; brings served ones to this machine.") 
    {
        ListCommand.Create(), StatusCommand.Create(), VerifyCommand.Create(), AttachCommand.Create(), DetachCommand.Create(),
        ProcessCommands.ServeLeg(), ProcessCommands.Write(),
    };
}
