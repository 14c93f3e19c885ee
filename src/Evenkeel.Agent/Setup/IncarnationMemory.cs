using System.Globalization;
using Evenkeel.PrivateConnection.Certificates;

namespace Evenkeel.Agent.Setup;

/// <summary>
/// The highest incarnation of the store that this node has ever known (<c>incarnation</c> in its state directory): a second
/// recovery from one snapshot must not begin the first one's incarnation again.
/// </summary>
internal static class IncarnationMemory
{
    private static string FileIn(string stateDirectory) => Path.Combine(stateDirectory, "incarnation");

    /// <exception cref="InvalidDataException">It cannot be read; guessing could give an epoch twice.</exception>
    public static int Highest(string stateDirectory)
    {
        var file = FileIn(stateDirectory);
        return !File.Exists(file) ? 0
            : int.TryParse(File.ReadAllText(file), NumberStyles.None | NumberStyles.AllowTrailingWhite, CultureInfo.InvariantCulture, out var highest) ? highest
            : throw new InvalidDataException($"{file} holds no number: write the highest incarnation ever seen into it (the first part of an epoch in 'evenkeel status' and in events.jsonl)");
    }

    /// <exception cref="IOException">It cannot be written.</exception>
    public static void Keep(string stateDirectory, int incarnation)
    {
        if (incarnation > Highest(stateDirectory))
        {
            PrivateFile.Replace(FileIn(stateDirectory), incarnation.ToString(CultureInfo.InvariantCulture) + "\n");
        }
    }
}
