namespace Evenkeel.Services.Process;

internal static class ProcessStates
{
    /// <summary>The state's letter in proc(5); null when the process has ended.</summary>
    public static char? Of(int process)
    {
        try
        {
            var stat = File.ReadAllText($"/proc/{process}/stat");
            return stat[stat.LastIndexOf(')') + 2];
        }
        catch (IOException)
        {
            return null;
        }
    }
}
