namespace Evenkeel.Agent.Local;

/// <summary>CLOCK_BOOTTIME for measurements that are put side by side with the nodes' events.</summary>
public static class ProbeClock
{
    public static double BootMilliseconds => Host.SystemClock.Now.BootNanoseconds / 1e6;
}
